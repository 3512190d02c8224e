import { fileURLToPath } from 'node:url';
import { buildDemo } from './build.ts';
import { serveFolders } from './static.ts';

const folder = fileURLToPath(new URL('dist', import.meta.url));
const port = Number(process.env.PORT ?? 8080);

await buildDemo(folder);
try {
  await serveFolders({ '/': [folder] }, { port, compress: true });
  console.log(`elfin demo: http://localhost:${port}/`);
} catch (error) {
  const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
  console.error(taken ? `Port ${port} is taken; choose another: PORT=8081 npm run demo` : String(error));
  process.exitCode = 1;
}
