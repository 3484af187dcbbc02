// Lists: every filter with every operator, the order, and pages.
import assert from 'node:assert/strict';

import { check, pagesOf, refused, usagesOf } from './checks.mjs';

const DAY = 86400;
const DATE = 1601683200; // midnight

export function addListChecks(chargebee) {
  addFilterChecks(chargebee.usage);
  addSourceChecks(chargebee.usage);
  addPageChecks(chargebee);
}

function once(make) {
  let made;
  return () => (made ??= make());
}

// a to e, a day apart: two subscriptions, two item prices. What the letters stand for is all that a filter can choose.
const ROWS = [
  { id: 'list-a', subscription: 'list_one', item_price_id: 'sms-usd', usage_date: DATE },
  { id: 'list-b', subscription: 'list_one', item_price_id: 'data-usd', usage_date: DATE + DAY },
  { id: 'list-c', subscription: 'list_two', item_price_id: 'sms-usd', usage_date: DATE + 2 * DAY },
  { id: 'list-d', subscription: 'list_two', item_price_id: 'data-usd', usage_date: DATE + 3 * DAY },
  { id: 'listed-e', subscription: 'list_two', item_price_id: 'data-eur', usage_date: DATE + 4 * DAY },
];

function addFilterChecks(usage) {
  const makeRows = once(async () => {
    for (const { subscription, ...row } of ROWS) await usage.create(subscription, { quantity: '1', ...row });
  });
  // Where the edge of a filter is left open by the vendor (the given second itself), no row is on it.
  const cases = [
    ['subscription_id', 'is', 'list_one', 'ab'],
    ['subscription_id', 'is_not', 'list_one', 'cde'],
    ['subscription_id', 'starts_with', 'list_t', 'cde'],
    ['id', 'is', 'list-c', 'c'],
    ['id', 'is_not', 'list-c', 'abde'],
    ['id', 'starts_with', 'list-', 'abcd'],
    ['item_price_id', 'is', 'data-usd', 'bd'],
    ['item_price_id', 'is_not', 'data-usd', 'ace'],
    ['item_price_id', 'starts_with', 'data', 'bde'],
    ['usage_date', 'after', DATE + DAY / 2, 'bcde'],
    ['usage_date', 'before', DATE + 2.5 * DAY, 'abc'],
    ['usage_date', 'on', DATE + 3 * DAY, 'd'],
    ['usage_date', 'between', [DATE + DAY / 2, DATE + 3.5 * DAY], 'bcd'],
    ['invoice_id', 'is', 'inv_1', ''],
    ['invoice_id', 'is', 'null', 'abcde'],
    ['invoice_id', 'is_not', 'inv_1', 'abcde'],
    ['invoice_id', 'starts_with', 'inv', ''],
    ['invoice_id', 'is_present', true, ''],
    ['invoice_id', 'is_present', false, 'abcde'],
  ];
  for (const [attribute, operator, value, expected] of cases) {
    check(`list: ${attribute}[${operator}]=${JSON.stringify(value)}`, async () => {
      await makeRows();
      // The checks share one server: beside the filter itself, one that keeps to these rows.
      const other = attribute === 'subscription_id' ? 'id' : 'subscription_id';
      const answer = await usage.list({ [other]: { starts_with: 'list' }, [attribute]: { [operator]: value } });
      const letters = usagesOf(answer).map((each) => each.id.at(-1));
      assert.equal(letters.sort().join(''), expected);
      assert.equal(answer.next_offset, undefined);
    });
  }

  check('list: filters are all required at once', async () => {
    await makeRows();
    const answer = await usage.list({
      subscription_id: { is: 'list_two' },
      item_price_id: { starts_with: 'data' },
      usage_date: { before: DATE + 3.5 * DAY },
    });
    assert.deepEqual(usagesOf(answer).map((each) => each.id), ['list-d']);
  });

  check('list: an entry is what retrieve gives', async () => {
    await makeRows();
    const { usage: found } = await usage.retrieve('list_one', { id: 'list-a' });
    const answer = await usage.list({ subscription_id: { is: 'list_one' }, id: { is: 'list-a' } });
    assert.deepEqual(answer.list, [{ usage: found }]);
  });
}

// sdk_test.py has the device count something for this subscription before: a usage that no API call created.
function addSourceChecks(usage) {
  const makeOther = once(() =>
    usage.create('sub_counted', { id: 'called', item_price_id: 'api-usd', usage_date: DATE, quantity: '1' }));
  const sourcesOf = async (source) => {
    await makeOther();
    const answer = await usage.list({ subscription_id: { is: 'sub_counted' }, source });
    return usagesOf(answer).map((each) => each.source).sort();
  };
  const cases = [
    ['is', 'api', ['api']],
    ['is', 'admin_console', []],
    ['is_not', 'api', ['bulk_operation']],
    ['in', ['api', 'bulk_operation'], ['api', 'bulk_operation']],
    ['in', ['bulk_operation'], ['bulk_operation']],
    ['not_in', ['api', 'admin_console'], ['bulk_operation']],
  ];
  for (const [operator, value, expected] of cases) {
    check(`list: source[${operator}]=${JSON.stringify(value)}`, async () => {
      assert.deepEqual(await sourcesOf({ [operator]: value }), expected);
    });
  }
}

function addPageChecks(chargebee) {
  const usage = chargebee.usage;
  const ours = { subscription_id: { is: 'sub_pages' } };
  // Created in another order than that of their dates, which runs through all of 0 to 24.
  const dates = Array.from({ length: 25 }, (_, place) => DATE + ((place * 7) % 25));
  const makeRows = once(async () => {
    for (const usage_date of dates) {
      await usage.create('sub_pages', { item_price_id: 'sms-usd', quantity: '1', usage_date });
    }
  });
  const ascending = [...dates].sort((a, b) => a - b);
  const orders = [
    ['as created', {}, dates],
    ['sort_by[asc]=usage_date', { 'sort_by[asc]': 'usage_date' }, ascending],
    ['sort_by[desc]=usage_date', { 'sort_by[desc]': 'usage_date' }, [...ascending].reverse()],
  ];
  for (const [name, order, expected] of orders) {
    check(`list: 25 usages in pages of 10 and of 1, no repeat and no gap, ${name}`, async () => {
      await makeRows();
      for (const limit of [10, 1]) {
        const pages = await pagesOf(chargebee, { ...ours, ...order, limit });
        assert.deepEqual(pages.flat().map((each) => each.usage_date), expected);
        assert.deepEqual(pages.map((page) => page.length), limit === 1 ? Array(25).fill(1) : [10, 10, 5]);
      }
    });
  }

  check('list: 10 usages without a limit, and no next_offset behind the last', async () => {
    await makeRows();
    const first = await usage.list({ ...ours });
    assert.equal(first.list.length, 10);
    assert.match(first.next_offset, /^.{1,1000}$/);
    for (const limit of [25, 100]) {
      const all = await usage.list({ ...ours, limit });
      assert.equal(all.list.length, 25);
      assert.equal(all.next_offset, undefined);
    }
  });

  check('list: pages go on behind a usage that is deleted or added meanwhile', async () => {
    const filters = { subscription_id: { is: 'sub_moving' }, 'sort_by[asc]': 'usage_date', limit: 2 };
    const rest = { item_price_id: 'sms-usd', quantity: '1' };
    const create = (second) => usage.create('sub_moving', { id: `m${second}`, usage_date: DATE + second, ...rest });
    for (const second of [1, 2, 3, 4]) await create(second);
    const first = await usage.list({ ...filters });
    await usage.delete('sub_moving', { id: 'm2' });
    await create(0);
    const second = await usage.list({ ...filters, offset: first.next_offset });
    assert.deepEqual([...usagesOf(first), ...usagesOf(second)].map((each) => each.id), ['m1', 'm2', 'm3', 'm4']);
  });

  check('list: a wrong limit, offset or order is a param_wrong_value', async () => {
    for (const limit of [0, 101, -1, 'all']) {
      await refused(usage.list({ ...ours, limit }), 400, 'param_wrong_value', 'limit');
    }
    await refused(usage.list({ ...ours, offset: 'page 2' }), 400, 'param_wrong_value', 'offset');
    await refused(usage.list({ ...ours, 'sort_by[asc]': 'quantity' }), 400, 'param_wrong_value');
    await refused(usage.list({ ...ours, id: { like: 'list' } }), 400, 'param_wrong_value');
  });
}
