// The named checks: run one after the other, one line each, and what they share.
import assert from 'node:assert/strict';

const checks = [];

/** Adds a check. `run` throws, or rejects, if the claim in `name` does not hold. */
export function check(name, run) {
  checks.push({ name, run });
}

/** Runs all but those in `without` and tells the count. True if all of them hold. */
export async function runChecks(without) {
  const unknown = without.filter((name) => !checks.some((each) => each.name === name));
  assert.deepEqual(unknown, [], 'no check has this name');
  let failed = 0;
  for (const { name, run } of checks) {
    if (without.includes(name)) {
      console.log(`left out  ${name}`);
      continue;
    }
    try {
      await run();
      console.log(`ok        ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED    ${name}\n${described(error)}`);
    }
  }
  const ran = checks.length - without.length;
  console.log(`${ran} checks, ${failed} failed, ${without.length} left out`);
  return ran > 0 && failed === 0;
}

// The client rejects with the error's JSON as a plain object, and with an Error where there was no JSON.
function described(error) {
  const text = error instanceof Error ? `${error.stack}\n${error.cause ?? ''}` : JSON.stringify(error, null, 2);
  return text.trimEnd().replace(/^/gm, '          ');
}

/** Asserts that the call is refused in the vendor's shape, and returns the error. */
export async function refused(call, status, code, param) {
  let answer;
  try {
    answer = await call;
  } catch (error) {
    assert.equal(error.http_status_code, status, described(error));
    assert.equal(error.api_error_code, code, described(error));
    assert.equal(typeof error.message, 'string');
    assert.notEqual(error.message, '');
    if (param !== undefined) assert.equal(error.param, param);
    return error;
  }
  assert.fail(`expected ${status} ${code}, got ${JSON.stringify(answer)}`);
}

/** The usages of a list's answer. */
export function usagesOf(answer) {
  return answer.list.map((entry) => entry.usage);
}

/** Every page of a list, in the order of the answers. */
export async function pagesOf(chargebee, filters) {
  const pages = [];
  let offset;
  do {
    const answer = await chargebee.usage.list({ ...filters, offset });
    pages.push(usagesOf(answer));
    offset = answer.next_offset;
    assert.ok(pages.length <= 100, 'the list does not end');
  } while (offset !== undefined);
  return pages;
}
