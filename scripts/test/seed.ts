// Gives fast-check the run's seed (vitest.config.ts chooses or takes it from STRATA_SEED).
import fc from 'fast-check';

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env.STRATA_SEED) });
