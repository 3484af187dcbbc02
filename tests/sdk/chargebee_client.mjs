// Drives the Usages API at a loopback port with the vendor's own client, configured as its customers do.
//
//     node chargebee_client.mjs --port N --key KEY [--without NAME]...
//
// Runs in a directory whose node_modules holds the client: sdk_test.py copies it there. Each check has subscriptions
// of its own, so the order does not matter; the server must be a fresh one. Exit code 0 if every check holds.
import { parseArgs } from 'node:util';

import Chargebee from 'chargebee';

import { addCallChecks } from './call_checks.mjs';
import { runChecks } from './checks.mjs';
import { addListChecks } from './list_checks.mjs';
import { addRetryChecks } from './retry_checks.mjs';
import { addUsageChecks } from './usage_checks.mjs';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    key: { type: 'string' },
    without: { type: 'string', multiple: true, default: [] },
  },
});

/** A client of the server under test; `changes` to the configuration are one customer's own. */
function connect(changes = {}) {
  return new Chargebee({
    site: '127.0.0.1', // the host is site + hostSuffix
    hostSuffix: '',
    protocol: 'http',
    port: Number(options.port),
    apiKey: options.key,
    sdkTelemetryEnabled: false,
    timeout: 20000,
    ...changes,
  });
}

addUsageChecks(connect());
addListChecks(connect());
addRetryChecks(connect);
addCallChecks(connect);
process.exitCode = (await runChecks(options.without)) ? 0 : 1;
