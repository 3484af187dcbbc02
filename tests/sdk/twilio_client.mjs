// Drives Twilio's two usage APIs at a loopback port with the vendor's own client, configured as its customers do.
//
//     node twilio_client.mjs --port N --account AC... --token TOKEN
//
// V1 by the client's own call, Preview, which it does not have, by its generic request. Exit code 0 if every check holds.
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';

import twilio from 'twilio';

import { check, runChecks } from './checks.mjs';

const { values: options } = parseArgs({
  options: { port: { type: 'string' }, account: { type: 'string' }, token: { type: 'string' } },
});

const INSTALLATION = `XE${'a'.repeat(32)}`;
const BILLING = `BI${'1'.repeat(32)}`;
const BASE = `http://127.0.0.1:${options.port}`;

function connect(token = options.token) {
  const client = twilio(options.account, token);
  client.marketplace.baseUrl = BASE;
  return client;
}

/** One V1 call as the client makes it. */
function bill(items, { client = connect(), installation = INSTALLATION } = {}) {
  return client.marketplace.v1.installedAddOns(installation).usage.create({ billable_items: items });
}

function preview(quantity, client = connect()) {
  const uri = `${BASE}/marketplace/InstalledAddOns/${INSTALLATION}/Usage`;
  return client.request({ method: 'post', uri, data: { Quantity: quantity } });
}

/** The vendor's error, as its client throws it. */
async function refused(call, status, code) {
  await assert.rejects(call, (error) => {
    assert.equal(error.status, status, error.message);
    assert.equal(error.code, code);
    assert.notEqual(error.message, '');
    assert.match(error.moreInfo, /^https:\/\/www\.twilio\.com\/docs\/errors\//);
    return true;
  });
}

check('usage is created, each item says so, and the total is exact', async () => {
  const answer = await bill([{ sid: BILLING, quantity: 12.355 }, { sid: BILLING, quantity: 44.02 }]);
  assert.equal(answer.totalSubmitted, 56.375);
  assert.deepEqual(answer.billableItems.map((item) => [item.sid, item.quantity, item.submitted]),
    [[BILLING, 12.355, true], [BILLING, 44.02, true]]);
});

check('what is no usage is refused whole, in the shape that the client reads', async () => {
  await refused(bill([{ sid: BILLING, quantity: 0 }]), 400, 20001);
  await refused(bill([{ sid: BILLING, quantity: -1 }]), 400, 20001);
  await refused(bill([{ quantity: 1 }]), 400, 20001);
  await refused(bill([{ sid: BILLING, quantity: 1 }], { installation: 'XE1' }), 400, 20001);
  const misled = connect().marketplace.v1.installedAddOns(INSTALLATION).usage;
  await refused(misled.create({ billableItems: [] }), 400, 20001);
});

check('a wrong token is code 20003', async () => {
  await refused(bill([{ sid: BILLING, quantity: 1 }], { client: connect('wrong') }), 401, 20003);
});

check('Preview takes a charge and a credit', async () => {
  for (const quantity of ['10', '-2.5']) {
    const answer = await preview(quantity);
    assert.equal(answer.statusCode, 202);
  }
  const nothing = await preview('0');
  assert.equal(nothing.statusCode, 400);
});

process.exitCode = (await runChecks([])) ? 0 : 1;
