// What concerns every call: the key, the headers that the client adds, calls at once; and the PDF.
import assert from 'node:assert/strict';

import { check, refused } from './checks.mjs';

const DATE = 1601718989;
const silver = (changes) => ({ item_price_id: 'silver-usd', usage_date: DATE, quantity: '1', ...changes });

export function addCallChecks(connect) {
  const usage = connect().usage;

  check('a wrong key is an api_authentication_failed, for every call', async () => {
    const stranger = connect({ apiKey: 'wrong_key' }).usage;
    const calls = [
      () => stranger.create('sub_stranger_key', silver({ id: 'stranger' })),
      () => stranger.retrieve('sub_stranger_key', { id: 'stranger' }),
      () => stranger.delete('sub_stranger_key', { id: 'stranger' }),
      () => stranger.list({ subscription_id: { is: 'sub_stranger_key' } }),
    ];
    for (const call of calls) await refused(call(), 401, 'api_authentication_failed');
    assert.deepEqual((await usage.list({ subscription_id: { is: 'sub_stranger_key' } })).list, []);
  });

  check("the client's own headers are no obstacle: telemetry, the caller's, its checks of the parameters", async () => {
    const client = connect({ sdkTelemetryEnabled: true, enableValidation: true, retryConfig: { enabled: true } });
    const headers = { 'chargebee-request-origin-user': 'anna', 'chargebee-event-email': 'all-disabled' };
    for (let second = 0; second < 3; second += 1) {
      await client.usage.create('sub_headers', silver({ usage_date: DATE + second }), headers);
    }
    assert.equal((await client.usage.list({ subscription_id: { is: 'sub_headers' } })).list.length, 3);
  });

  check('twenty creates at once are twenty usages', async () => {
    const numbers = Array.from({ length: 20 }, (_, number) => number);
    const form = (number) => silver({ id: `once-${number}`, usage_date: DATE + number });
    const made = await Promise.all(numbers.map((number) => usage.create('sub_at_once', form(number))));
    assert.deepEqual(made.map((answer) => answer.usage.id), numbers.map((number) => `once-${number}`));
    assert.equal((await usage.list({ subscription_id: { is: 'sub_at_once' }, limit: 100 })).list.length, 20);
  });

  check('of twenty creates at once with one id, one is created', async () => {
    const calls = Array.from({ length: 20 }, (_, number) =>
      usage.create('sub_race', silver({ id: 'race', usage_date: DATE + number })));
    const outcomes = await Promise.allSettled(calls);
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
    assert.equal(lost.length, 19);
    for (const { reason } of lost) assert.equal(reason.api_error_code, 'duplicate_entry');
    assert.equal((await usage.list({ subscription_id: { is: 'sub_race' } })).list.length, 1);
  });

  check('pdf of an invoice is a link to the document, which needs no credentials', async () => {
    const { download } = await usage.pdf({ disposition_type: 'inline', invoice: { id: 'inv_counted' } });
    assert.equal(download.object, 'download');
    assert.ok(download.valid_till > Date.now() / 1000);
    const document = await fetch(download.download_url);
    assert.equal(document.status, 200);
    assert.equal(document.headers.get('content-type'), 'application/pdf');
    assert.match(document.headers.get('content-disposition'), /^inline;/);
    assert.match(await document.text(), /^%PDF-/);
  });

  check('pdf of an unknown invoice is a resource_not_found, of none at all a param_wrong_value', async () => {
    for (const disposition_type of [undefined, 'attachment', 'inline']) {
      await refused(usage.pdf({ disposition_type, invoice: { id: 'inv ü&1' } }), 404, 'resource_not_found');
    }
    await refused(usage.pdf({ disposition_type: 'inline' }), 400, 'param_wrong_value');
  });
}
