#!/usr/bin/env node
// Small and committed, because npm links only the bins that exist before `prepare` has built dist/.
import { main } from '../dist/main.js';

process.exitCode = await main(process.argv.slice(2));
