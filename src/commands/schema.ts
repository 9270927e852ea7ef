import { z } from 'zod';
import { type AddCommand, examples } from './cli.ts';

/** Prints JSON Schemas for editors. `schemas`: name of a file's kind → its zod schema. */
export const schemaCommand =
  (schemas: Readonly<Record<string, z.ZodType>>): AddCommand =>
  ({ command, io, action }) => {
    const names = Object.keys(schemas);
    command
      .command('schema')
      .description('print the JSON Schema of a configuration file, for editors and checks')
      .argument('[file]', names.join(', '), 'config')
      .addHelpText('after', examples('sallyport schema config > sallyport.schema.json'))
      .action(
        action((name: string) => {
          const schema = schemas[name];
          if (schema === undefined)
            command.error(`error: there is no schema ${name}; there is ${names.join(', ')}`, { exitCode: 2 });
          else io.stdout.write(`${JSON.stringify(jsonSchema(schema), null, 2)}\n`);
          return 0;
        }),
      );
  };

/** What may be written in the file (draft 2020-12): before defaults and conversions. */
export const jsonSchema = (schema: z.ZodType): z.core.JSONSchema.BaseSchema =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
