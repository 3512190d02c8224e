import { fileURLToPath } from 'node:url';
import { runCli } from './cli.ts';

// What `npm start` does: restore the bundled rainy photo, or the photos named behind `--`, into ./restored.
const words = process.argv.slice(2);
const bundled = fileURLToPath(new URL('../assets/rainy.jpg', import.meta.url));
// npm runs scripts from the package's folder; names are meant from where it was called.
if (process.env.INIT_CWD) process.chdir(process.env.INIT_CWD);
const inputs = words.some((word) => !word.startsWith('-')) ? [] : [bundled];
process.exitCode = await runCli(['restore', ...inputs, ...words, '-o', 'restored/', '--compare', '--force']);
