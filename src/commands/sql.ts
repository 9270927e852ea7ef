import type { SqlResult } from '../console/archive.ts';
import { type OpenArchive, withAdmin } from './admin-client.ts';
import { type AddCommand, examples } from './cli.ts';
import { type ConfigOption, configOf, withConfig } from './config-option.ts';
import { table } from './text.ts';

interface SqlCommandOptions extends ConfigOption {
  readonly json?: boolean;
  readonly write?: boolean;
}

/** `sallyport sql QUERY`. */
export const sqlCommand =
  (open?: OpenArchive): AddCommand =>
  ({ command, io, action }) => {
    withConfig(command.command('sql'))
      .description("run the operator's own SQL on the record (ClickHouse); the query itself goes on the record")
      .argument('<query>')
      .option('--write', 'let the query change the record (default: it may only read)')
      .option('--json', 'print JSON')
      .addHelpText('after', examples('sallyport sql "SELECT verdict, count() FROM sessions GROUP BY verdict"'))
      .action(
        action(async (query: string, options: SqlCommandOptions) => {
          const question = { query, write: options.write ?? false };
          const ask = await withAdmin(configOf(options, io), io.user, open, (ask) => ask('POST', '/v1/sql', question));
          const result = ask as SqlResult;
          if (options.json) io.stdout.write(`${JSON.stringify(toObjects(result), null, 2)}\n`);
          else if (result.columns.length > 0) io.stdout.write(toTable(result, io.stdout.columns ?? 160));
          return 0;
        }),
      );
  };

const toObjects = ({ columns, rows }: SqlResult) =>
  rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]])));

function toTable({ columns, rows }: SqlResult, terminalColumns: number): string {
  const isNumeric = columns.map(
    (_, at) => rows.length > 0 && rows.every((row) => /^-?\d+(\.\d+)?$/.test(cell(row[at]))),
  );
  return table(
    columns.map((title, at) => ({
      title,
      align: isNumeric[at] ? ('right' as const) : ('left' as const),
      shrinkTo: 12,
    })),
    rows.map((row) => row.map(cell)),
    terminalColumns,
  );
}

const cell = (value: unknown): string =>
  typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value);
