// One usage: create, retrieve, delete, and what is refused.
import assert from 'node:assert/strict';

import { check, refused, usagesOf } from './checks.mjs';

const DATE = 1601718989; // the one of the vendor's own sample
const NOTE = 'Tägliche Nutzung & mehr: 100 % + "a=b"; 日本\n2. Zeile';

export function addUsageChecks(chargebee) {
  const usage = chargebee.usage;
  const silver = (changes) => ({ item_price_id: 'silver-usd', usage_date: DATE, quantity: '1', ...changes });

  addCreateChecks(usage, silver);
  addDeleteChecks(usage, silver);
  addRefusalChecks(usage, silver);
}

function addCreateChecks(usage, silver) {
  check('create keeps every parameter', async () => {
    const given = silver({ id: 'create-all', quantity: '0.10', note: NOTE });
    const { usage: made, httpStatusCode } = await usage.create('sub_create', given);
    assert.equal(httpStatusCode, 200);
    assert.equal(made.object, 'usage');
    assert.equal(made.subscription_id, 'sub_create');
    for (const [name, value] of Object.entries(given)) assert.equal(made[name], value, name);
  });

  check('create tells when: created_at, updated_at and a resource_version in milliseconds', async () => {
    const { usage: made } = await usage.create('sub_when', silver());
    for (const name of ['created_at', 'resource_version']) assert.ok(Number.isSafeInteger(made[name]), name);
    assert.equal(made.updated_at, made.created_at);
    assert.equal(Math.floor(made.resource_version / 1000), made.updated_at);
  });

  check('resource_version does not fall from one usage to the next', async () => {
    const versions = [];
    for (let day = 0; day < 5; day += 1) {
      const { usage: made } = await usage.create('sub_version', silver({ usage_date: DATE + day }));
      versions.push(made.resource_version);
    }
    assert.deepEqual(versions, [...versions].sort((a, b) => a - b));
  });

  check('create says that its source is api', async () => {
    const { usage: made } = await usage.create('sub_source', silver());
    assert.equal(made.source, 'api');
  });

  check('create without an id makes one, another each time', async () => {
    const ids = [];
    for (let second = 0; second < 3; second += 1) {
      const { usage: made } = await usage.create('sub_auto', silver({ usage_date: DATE + second }));
      assert.match(made.id, /^.{1,100}$/);
      ids.push(made.id);
    }
    assert.equal(new Set(ids).size, 3);
  });

  check('create without a note has none', async () => {
    const { usage: made } = await usage.create('sub_no_note', silver());
    assert.equal(made.note, undefined);
  });

  check('a quantity of 40 characters stays exact', async () => {
    const quantity = '1234567890.12345678901234567890123456789';
    assert.equal(quantity.length, 40);
    const { usage: made } = await usage.create('sub_exact', silver({ quantity }));
    assert.equal(made.quantity, quantity);
  });

  check('retrieve gives what create answered', async () => {
    const { usage: made } = await usage.create('sub_retrieve', silver({ id: 'retrieve-1', note: NOTE }));
    const { usage: found } = await usage.retrieve('sub_retrieve', { id: 'retrieve-1' });
    assert.deepEqual(found, made);
  });

  check("ids survive the client's own way to encode them", async () => {
    const subscription = 'süb /1+&%'; // the client leaves "/" as it is in a path
    const id = 'id ü/+&=%[]';
    const { usage: made } = await usage.create(subscription, silver({ id }));
    assert.equal(made.subscription_id, subscription);
    assert.equal(made.id, id);
    assert.deepEqual((await usage.retrieve(subscription, { id })).usage, made);
    assert.deepEqual(usagesOf(await usage.list({ subscription_id: { is: subscription } })), [made]);
    assert.equal((await usage.delete(subscription, { id })).usage.id, id);
  });
}

function addDeleteChecks(usage, silver) {
  check('delete answers with the usage, which is then not found', async () => {
    const { usage: made } = await usage.create('sub_delete', silver({ id: 'delete-1' }));
    const { usage: gone } = await usage.delete('sub_delete', { id: 'delete-1' });
    for (const name of ['id', 'object', 'quantity', 'usage_date', 'item_price_id', 'subscription_id', 'created_at']) {
      assert.equal(gone[name], made[name], name);
    }
    await refused(usage.retrieve('sub_delete', { id: 'delete-1' }), 404, 'resource_not_found');
    await refused(usage.delete('sub_delete', { id: 'delete-1' }), 404, 'resource_not_found');
    assert.deepEqual(usagesOf(await usage.list({ subscription_id: { is: 'sub_delete' } })), []);
  });

  check('delete frees the usage_date: an erroneous usage is deleted and added again', async () => {
    await usage.create('sub_correct', silver({ id: 'correct-1', quantity: '5' }));
    await usage.delete('sub_correct', { id: 'correct-1' });
    const { usage: made } = await usage.create('sub_correct', silver({ id: 'correct-2', quantity: '4' }));
    assert.equal(made.quantity, '4');
    assert.deepEqual(usagesOf(await usage.list({ subscription_id: { is: 'sub_correct' } })), [made]);
  });

  check('a usage is unknown under another subscription', async () => {
    await usage.create('sub_owner', silver({ id: 'owned' }));
    await refused(usage.retrieve('sub_stranger', { id: 'owned' }), 404, 'resource_not_found');
    await refused(usage.delete('sub_stranger', { id: 'owned' }), 404, 'resource_not_found');
    assert.equal((await usage.retrieve('sub_owner', { id: 'owned' })).usage.id, 'owned');
  });
}

function addRefusalChecks(usage, silver) {
  check('an id that is taken is a duplicate_entry', async () => {
    await usage.create('sub_id', silver({ id: 'taken' }));
    await refused(usage.create('sub_id', silver({ id: 'taken', usage_date: DATE + 1 })), 400, 'duplicate_entry');
  });

  check('a usage_date that is taken is a duplicate_entry, for this item price only', async () => {
    await usage.create('sub_date', silver({ id: 'date-1' }));
    await refused(usage.create('sub_date', silver({ id: 'date-2' })), 400, 'duplicate_entry');
    await usage.create('sub_date', silver({ id: 'date-3', item_price_id: 'gold-usd' }));
    await usage.create('sub_date_2', silver({ id: 'date-4' }));
  });

  check('an unknown usage is a resource_not_found', async () => {
    await refused(usage.retrieve('sub_unknown', { id: 'nobody' }), 404, 'resource_not_found');
    await refused(usage.delete('sub_unknown', { id: 'nobody' }), 404, 'resource_not_found');
  });

  const wrong = {
    quantity: ['abc', '', '0', '0.00', '-1', '1e3', '0x10', '1,5', '.', '1'.repeat(41), undefined],
    usage_date: ['yesterday', '2020-10-03', '', '1.5', '-1', undefined],
    item_price_id: ['', 'p'.repeat(101), undefined],
    id: ['i'.repeat(101)],
    note: ['n'.repeat(501)],
  };
  for (const [name, values] of Object.entries(wrong)) {
    check(`a wrong ${name} is a param_wrong_value that names it`, async () => {
      for (const value of values) {
        await refused(usage.create('sub_wrong', silver({ [name]: value })), 400, 'param_wrong_value', name);
      }
      assert.deepEqual(usagesOf(await usage.list({ subscription_id: { is: 'sub_wrong' } })), []);
    });
  }

  check('what is just long enough is taken', async () => {
    const given = silver({ id: 'ü'.repeat(100), item_price_id: 'p'.repeat(100), note: 'ü'.repeat(500) });
    const { usage: made } = await usage.create('s'.repeat(100), given);
    for (const [name, value] of Object.entries(given)) assert.equal(made[name], value, name);
  });
}
