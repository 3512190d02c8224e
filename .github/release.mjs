// Before publishing: where the packages come from is known by the workflow alone, so it is written into every package.json here
// instead of being kept in the repository. npm's provenance compares `repository` with it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const { GITHUB_SERVER_URL = 'https://github.com', GITHUB_REPOSITORY } = process.env;
if (!GITHUB_REPOSITORY)
  throw new Error('GITHUB_REPOSITORY is not set; packages are published by the release workflow.');
const url = `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}`;

for (const name of readdirSync('packages')) {
  const path = `packages/${name}/package.json`;
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  if (manifest.private) continue;
  manifest.homepage = `${url}#readme`;
  manifest.bugs = `${url}/issues`;
  manifest.repository = { type: 'git', url: `git+${url}.git`, directory: `packages/${name}` };
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
}
