import { readFile } from 'node:fs/promises';
import { type Config, shownPath } from '../config.ts';
import { parseModels } from '../models/load.ts';
import type { Model } from '../models/model.ts';
import { CliError, exitCodes } from './cli.ts';

/**
 * The models of a configuration without their credentials, which stay where they are: what is printed or looked at needs
 * none. Throws CliError.
 */
export async function modelsOf({ models: { file } }: Pick<Config, 'models'>): Promise<readonly Model[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CliError(
      exitCodes.usage,
      `The registry of models ${shownPath(file)} cannot be read (${error.code}).`,
      'Set models.file in the configuration.',
      error,
    );
  });
  const parsed = await parseModels(text, async () => 'not-read');
  if (parsed.ok) return parsed.models;
  const lines = parsed.problems.map(
    ({ path, line, column, message }) => `  ${shownPath(file)}:${line}:${column} ${path ? `${path}: ` : ''}${message}`,
  );
  throw new CliError(
    exitCodes.usage,
    `The registry of models is wrong:\n${lines.join('\n')}`,
    'Correct it and run this again.',
  );
}
