// vitest's own report, without the thousands of tests that passed in a file where one failed; then the
// skips with their reasons, the seed of sampled tests, and one plain last line `N passed, N failed[, N
// skipped]`. On CI (CI=true) a skip that docs/testing.md does not list counts as failed.
// STRATA_SUMMARY=FILE gets the numbers as JSON, for .ci/run to add up.
import { readFileSync, writeFileSync } from 'node:fs';
import { DefaultReporter, type TestCase, type TestModule, type TestModuleState, type TestSuite } from 'vitest/node';
import { type AllowedSkip, isAllowed, parseAllowedSkips } from './skips.ts';

interface Summary {
  passed: number;
  failed: number;
  skipped: number;
}

/** The sentence that ends a run. */
function summaryLine({ passed, failed, skipped }: Summary): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

interface Skip {
  file: string;
  name: string;
  reason: string;
  /** false only on CI. */
  allowed: boolean;
}

function hasFailedHook(suite: TestSuite | TestModule): boolean {
  return suite.errors().length > 0;
}

export class SummaryReporter extends DefaultReporter {
  protected override printTestCase(moduleState: TestModuleState, test: TestCase): void {
    const slow = (test.diagnostic()?.duration ?? 0) > this.ctx.config.slowTestThreshold;
    if (slow || test.result().state === 'failed') super.printTestCase(moduleState, test);
  }

  override onTestRunEnd(...[modules, unhandledErrors, reason]: Parameters<DefaultReporter['onTestRunEnd']>): void {
    super.onTestRunEnd(modules, unhandledErrors, reason);
    const allowed = process.env.CI === 'true' ? parseAllowedSkips(readFileSync('docs/testing.md', 'utf8')) : null;
    const summary: Summary = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    const skips: Skip[] = [];
    for (const module of modules) {
      // A file that does not load, or a hook that throws, has no failed test to its name.
      if (hasFailedHook(module)) summary.failed += 1;
      for (const suite of module.children.allSuites()) if (hasFailedHook(suite)) summary.failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') summary.passed += 1;
        else if (state === 'failed') summary.failed += 1;
        else skips.push(describeSkip(test, module, allowed));
      }
    }
    for (const skip of skips) summary[skip.allowed ? 'skipped' : 'failed'] += 1;
    if (reason === 'interrupted') summary.failed += 1;
    const lines = skipLines(skips);
    if (summary.passed === 0 && summary.failed === 0) {
      lines.push('no test ran: that is a failure');
      summary.failed = 1;
    }
    if (process.env.STRATA_SUMMARY) writeFileSync(process.env.STRATA_SUMMARY, JSON.stringify(summary));
    if (summary.failed > 0) process.exitCode = 1;
    lines.push(`seed ${process.env.STRATA_SEED} (STRATA_SEED=${process.env.STRATA_SEED} repeats the sampled tests)`);
    lines.push(summaryLine(summary));
    console.log(lines.join('\n'));
  }
}

/** skipIf and skip take no note, so their tests are called `… (skipped: not root)`. */
function reasonInName(fullName: string): string | undefined {
  return /\(skipped: ([^)]+)\)/.exec(fullName)?.[1];
}

function afterFailedHook(test: TestCase): boolean {
  for (let at: TestSuite | TestModule = test.parent; ; at = at.parent) {
    if (hasFailedHook(at)) return true;
    if (at.type === 'module') return false;
  }
}

function describeSkip(test: TestCase, module: TestModule, allowed: readonly AllowedSkip[] | null): Skip {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  const skip = {
    file: module.relativeModuleId,
    name: test.fullName,
    reason:
      note ?? reasonInName(test.fullName) ?? (afterFailedHook(test) ? 'a hook before it failed' : 'no reason given'),
  };
  return { ...skip, allowed: allowed === null || isAllowed(`${skip.file} > ${skip.name}: ${skip.reason}`, allowed) };
}

/** One line for all the skips of a file that share a reason. */
function skipLines(skips: readonly Skip[]): string[] {
  const groups = new Map<string, Skip[]>();
  for (const skip of skips) {
    const key = `${skip.allowed}\0${skip.file}\0${skip.reason}`;
    groups.set(key, [...(groups.get(key) ?? []), skip]);
  }
  return [...groups.values()].map(([first, ...others]) => {
    const more = others.length > 0 ? ` and ${others.length} more` : '';
    return `${first.allowed ? 'skipped' : 'SKIP NOT ALLOWED ON CI'}: ${first.file} > ${first.name}${more}: ${first.reason}`;
  });
}
