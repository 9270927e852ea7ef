/**
 * `npm run docs`: writes the generated documents. `--check` writes nothing and fails (exit code 1) when one is not what it
 * would write.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configSchema } from '../src/config.ts';
import { configurationPage } from './docs/configuration.ts';
import { detectorsPage } from './docs/detectors.ts';
import { errorsPage } from './docs/errors.ts';
import { policyReferencePage } from './docs/policy-reference.ts';

const root = join(import.meta.dirname, '..');

/** Path of each generated document → its text. */
const pages: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': () => configurationPage(configSchema),
  'docs/detectors.md': detectorsPage,
  'docs/errors.md': errorsPage,
  'docs/policy-reference.md': policyReferencePage,
};

const isCheck = process.argv.includes('--check');

for (const [path, render] of Object.entries(pages)) {
  const file = join(root, path);
  const text = render();
  if (text === current(file)) continue;
  if (isCheck) {
    process.stderr.write(`${path} is not what its source says: run \`npm run docs\` and commit it.\n`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    process.stdout.write(`wrote ${path}\n`);
  }
}

function current(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
