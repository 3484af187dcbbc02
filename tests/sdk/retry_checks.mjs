// Idempotency keys, given by the caller or invented by the client for its own retries.
import assert from 'node:assert/strict';

import { check, refused, usagesOf } from './checks.mjs';

const DATE = 1601718989;
const REPLAYED = 'chargebee-idempotency-replayed';

const withKey = (key) => ({ 'chargebee-idempotency-key': key });
const silver = (changes) => ({ item_price_id: 'silver-usd', usage_date: DATE, quantity: '1', ...changes });

export function addRetryChecks(connect) {
  const usage = connect().usage;
  const listed = async (subscription) => usagesOf(await usage.list({ subscription_id: { is: subscription } }));

  addKeyChecks(usage, listed);
  addOwnRetryChecks(connect, listed);
}

function addKeyChecks(usage, listed) {
  check('the same key and body: the same answer again, marked as replayed, and one usage', async () => {
    const first = await usage.create('sub_key', silver(), withKey('key-create'));
    assert.equal(first.headers[REPLAYED], undefined);
    assert.equal(first.isIdempotencyReplayed, false);
    const again = await usage.create('sub_key', silver(), withKey('key-create'));
    assert.equal(again.headers[REPLAYED], 'true');
    assert.equal(again.isIdempotencyReplayed, 'true');
    assert.deepEqual(again.usage, first.usage);
    assert.deepEqual(await listed('sub_key'), [first.usage]);
  });

  check('the same key and another body is an unable_to_process_request', async () => {
    await usage.create('sub_key_body', silver(), withKey('key-body'));
    const other = silver({ usage_date: DATE + 1 });
    await refused(usage.create('sub_key_body', other, withKey('key-body')), 422, 'unable_to_process_request');
    await refused(usage.create('sub_key_other', silver(), withKey('key-body')), 422, 'unable_to_process_request');
    assert.equal((await listed('sub_key_body')).length, 1);
  });

  check('a delete is replayed too, and does not delete what came after it', async () => {
    await usage.create('sub_key_delete', silver({ id: 'key-delete-1' }));
    const first = await usage.delete('sub_key_delete', { id: 'key-delete-1' }, withKey('key-delete'));
    await usage.create('sub_key_delete', silver({ id: 'key-delete-2' }));
    const again = await usage.delete('sub_key_delete', { id: 'key-delete-1' }, withKey('key-delete'));
    assert.equal(again.headers[REPLAYED], 'true');
    assert.deepEqual(again.usage, first.usage);
    assert.deepEqual((await listed('sub_key_delete')).map((each) => each.id), ['key-delete-2']);
  });

  check('another key is another request', async () => {
    const made = await usage.create('sub_keys', silver({ id: 'keys-1' }), withKey('key-1'));
    assert.equal(made.isIdempotencyReplayed, false);
    await refused(usage.create('sub_keys', silver({ id: 'keys-1' }), withKey('key-2')), 400, 'duplicate_entry');
  });
}

// A customer's own transport: what is in between answers for the server, before or after the server did its work.
class Gateway {
  constructor() {
    this.attempts = [];
    this.answers = []; // for the next attempts: 'lost before', 'lost after', else the server's
  }

  async makeApiRequest(request) {
    this.attempts.push(Object.fromEntries(request.headers));
    const answer = this.answers.shift();
    if (answer === 'lost before') return this.unavailable();
    const response = await fetch(request);
    if (answer !== 'lost after') return response;
    await response.text();
    return this.unavailable();
  }

  unavailable() {
    const error = { message: 'try later', type: 'operation_failed', api_error_code: 'internal_temporary_error' };
    return new Response(JSON.stringify(error), { status: 503 });
  }
}

function addOwnRetryChecks(connect, listed) {
  const retryConfig = { enabled: true, maxRetries: 3, delayMs: 1, retryOn: [500, 502, 503, 504] };
  const keysOf = (gateway) => gateway.attempts.map((headers) => headers['chargebee-idempotency-key']);

  check('with retryConfig every call carries a key of its own', async () => {
    const gateway = new Gateway();
    const { usage } = connect({ retryConfig, httpClient: gateway });
    const { usage: made } = await usage.create('sub_retry', silver());
    await usage.delete('sub_retry', { id: made.id });
    await usage.create('sub_retry', silver());
    assert.equal(new Set(keysOf(gateway)).size, 3);
    assert.equal(keysOf(gateway).includes(undefined), false);
    assert.equal((await listed('sub_retry')).length, 1);
  });

  check('with retryConfig a create that did not arrive is sent again', async () => {
    const gateway = new Gateway();
    gateway.answers = ['lost before', 'lost before'];
    const { usage } = connect({ retryConfig, httpClient: gateway });
    const made = await usage.create('sub_retry_before', silver());
    assert.equal(gateway.attempts.length, 3);
    assert.equal(made.isIdempotencyReplayed, false);
    assert.deepEqual(await listed('sub_retry_before'), [made.usage]);
  });

  check('with retryConfig a create whose answer was lost is not created twice', async () => {
    const gateway = new Gateway();
    gateway.answers = ['lost after', 'lost after'];
    const { usage } = connect({ retryConfig, httpClient: gateway, sdkTelemetryEnabled: true });
    const made = await usage.create('sub_retry_after', silver());
    assert.equal(new Set(keysOf(gateway)).size, 1);
    // The attempts differ in two headers, which are no part of what makes them the same request.
    assert.deepEqual(gateway.attempts.map((headers) => headers['x-cb-retry-attempt']), [undefined, '1', '2']);
    const told = gateway.attempts.map((headers) => 'x-chargebee-sdk-telemetry' in headers);
    assert.deepEqual(told, [true, false, false]);
    assert.equal(made.isIdempotencyReplayed, 'true');
    assert.deepEqual(await listed('sub_retry_after'), [made.usage]);
  });

  check('with retryConfig a refusal is not sent again', async () => {
    const gateway = new Gateway();
    const { usage } = connect({ retryConfig, httpClient: gateway });
    await refused(usage.create('sub_retry_bad', silver({ quantity: 'abc' })), 400, 'param_wrong_value', 'quantity');
    assert.equal(gateway.attempts.length, 1);
  });
}
