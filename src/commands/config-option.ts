import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type Config, loadConfig, shownPath } from '../config.ts';
import { CliError, exitCodes, type Io } from './cli.ts';

export interface ConfigOption {
  readonly config?: string;
}

/** Adds `--config FILE`, as every command has it that needs the configuration. */
export const withConfig = (command: Command): Command =>
  command.option('-c, --config <file>', 'the configuration (default: $SALLYPORT_CONFIG, else sallyport.yaml here)');

/** Loads the configuration that the options name. Throws CliError that lists every problem as `file:line:column path message`. */
export function configOf(options: ConfigOption, io: Io): Config {
  const file = resolve(options.config ?? io.env['SALLYPORT_CONFIG'] ?? 'sallyport.yaml');
  const name = shownPath(file);
  if (!existsSync(file))
    throw new CliError(
      exitCodes.usage,
      `There is no configuration ${name}.`,
      'Run this in the folder that has sallyport.yaml, or name the file with --config.',
    );
  const loaded = loadConfig(file, io.env);
  if (loaded.ok) return loaded.config;
  const lines = loaded.problems.map(
    ({ path, line, column, message }) => `  ${name}:${line}:${column} ${path ? `${path}: ` : ''}${message}`,
  );
  const count = loaded.problems.length;
  throw new CliError(
    exitCodes.usage,
    `The configuration has ${count === 1 ? 'a problem' : `${count} problems`}:\n${lines.join('\n')}`,
    'Correct it and run this again; docs/configuration.md says what may be in it.',
  );
}
