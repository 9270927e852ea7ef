/** Rows of one table: TabSeparated, in a file. */
export interface RowFile {
  /** With its database. */
  readonly table: string;
  /** In the order of the fields. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Name in the engine's working folder: a plain word. */
  readonly file: string;
}

/** What the gateway's process asks of the engine's process (Node IPC, structured clone). */
export type EngineRequest =
  | {
      readonly id: number;
      readonly op: 'open';
      readonly dataDir: string;
      readonly configFile: string;
      readonly queryTimeoutMs: number;
    }
  /** DDL and migrations, on the writing session. */
  | { readonly id: number; readonly op: 'run'; readonly sql: string }
  /** Rows in files of the process's folder, table by table. */
  | { readonly id: number; readonly op: 'insert'; readonly tables: readonly RowFile[] }
  /** A read with parameters in TabSeparated form and a format; on one of the reading sessions. */
  | {
      readonly id: number;
      readonly op: 'query';
      readonly sql: string;
      readonly parameters: Readonly<Record<string, string>>;
      readonly format: string;
    }
  /** The operator's own SQL, on a session of its own; reads only unless `write`. */
  | {
      readonly id: number;
      readonly op: 'sql';
      readonly sql: string;
      readonly format: string;
      /** Database of tables that are named without one. */
      readonly database: string;
      readonly write: boolean;
    }
  | { readonly id: number; readonly op: 'close' };

export type EngineReply =
  | { readonly id: number; readonly ok: true; readonly data: Uint8Array }
  | {
      readonly id: number;
      readonly ok: false;
      readonly missing: boolean;
      readonly clickhouseCode: number;
      readonly name: string;
      readonly message: string;
    };

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
/** A request before it has an id. */
export type EngineCall = Without<EngineRequest, 'id'>;
