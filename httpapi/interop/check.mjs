// One line per check, counted; see README.md.
import assert from 'node:assert/strict';

let failed = 0;
export { assert };

/** Runs one check and prints its line. */
export async function check(client, name, run) {
  try {
    await run();
    console.log(`ok    ${client}  ${name}`);
  } catch (e) {
    failed++;
    console.log(`FAIL  ${client}  ${name}: ${String(e?.message ?? e).split('\n').join(' ').slice(0, 400)}`);
  }
}

/** Ends the script: not 0 if a check failed. */
export function done() {
  process.exit(failed ? 1 : 0);
}
