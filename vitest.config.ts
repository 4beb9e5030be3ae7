// Four projects: `unit` lies beside the sources, `conformance` runs the same cases on every target,
// `cli` spawns the built commands, `interop` needs root, Debian packages and minutes. `npm test` runs
// the first three (package.json); `.ci/run` runs them all.
import { defineConfig } from 'vitest/config';
import { SummaryReporter } from './scripts/test/reporter.ts';

// One seed for every sampled test of the run, printed at the end; STRATA_SEED repeats a run.
process.env.STRATA_SEED ||= String(1 + Math.floor(Math.random() * 0x7ffffffe));

const common = {
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
};
const shared = { pool: 'forks' as const, setupFiles: ['scripts/test/seed.ts'] };
// Spawned processes run dist/.
const spawning = { ...shared, globalSetup: ['scripts/test/build.ts'] };

export default defineConfig({
  test: {
    reporters: [new SummaryReporter()],
    projects: [
      {
        ...common,
        test: {
          ...shared,
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'scripts/**/*.test.mjs', 'bench/**/*.test.ts'],
          maxWorkers: 2,
          // A test that asserts nothing fails. Conformance cases and interop assert by means of their own (conformance/expect.ts, scripts).
          expect: { requireAssertions: true },
          sequence: { groupOrder: 0 },
        },
      },
      // Mounts with real servers behind them, on two cores: files run one after another.
      {
        ...common,
        test: {
          ...spawning,
          name: 'conformance',
          include: ['conformance/**/*.test.ts'],
          exclude: ['conformance/interop/**', '**/node_modules/**'],
          testTimeout: 30_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        ...common,
        test: {
          ...spawning,
          name: 'cli',
          include: ['packages/*/test/**/*.test.ts'],
          testTimeout: 60_000,
          maxWorkers: 1,
          expect: { requireAssertions: true },
          sequence: { groupOrder: 2 },
        },
      },
      {
        ...common,
        test: {
          ...spawning,
          name: 'interop',
          include: ['conformance/interop/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
