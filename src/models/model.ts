/** One entry of models.yaml: a model version that may be called. */
export interface Model {
  readonly name: string;
  readonly version: string;
  readonly upstream: { readonly host: string; readonly port: number; readonly tls: boolean };
  /** Names of the API formats it speaks, such as `openai-chat`. */
  readonly formats: readonly string[];
  readonly match: {
    /** Values of the request's model field that mean this model; the name itself is always one. */
    readonly names: readonly string[];
    /** Host names (without port) that this entry answers to; empty: any. */
    readonly hosts: readonly string[];
    /** Path prefixes that this entry answers to; empty: the paths of its formats. */
    readonly paths: readonly string[];
  };
  /** Header that carries the model's own credential, read from a file or the environment at load. Never logged. */
  readonly credential: { readonly header: string; readonly value: string } | undefined;
  /** Header and audience of the JWT that tells the model who calls; undefined: it gets none. */
  readonly identity: { readonly header: string; readonly audience: string } | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly team: string | undefined;
  /** Envoy cluster of this version: `model_<name>_<version>`, `[^A-Za-z0-9_.-]` as `_`; or what the entry says a mesh calls it. */
  readonly cluster: string;
}

/** Formats whose requests name no model: host and path say which entry is meant, or the mesh's route. */
export const namelessFormats: ReadonlySet<string> = new Set(['tgi', 'mcp', 'opaque']);

/** Formats without a path of their own: what comes to the entry's `match.paths` is theirs. */
export const pathlessFormats: ReadonlySet<string> = new Set(['mcp', 'opaque']);
