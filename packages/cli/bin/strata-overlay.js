#!/usr/bin/env node
// Small and committed, because npm links only the bins that exist before `prepare` has built dist/.
import { built } from './built.cjs';

const { main } = await built('strata-overlay');
process.exitCode = await main(process.argv.slice(2));
