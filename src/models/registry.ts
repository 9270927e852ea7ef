import { isBelow } from './load.ts';
import type { Model } from './model.ts';

/** What a request says of the model that it wants. */
export interface ModelRequest {
  /** Host without port, lower case. */
  readonly host: string;
  /** Path without query. */
  readonly path: string;
  /** The model field of the body. */
  readonly modelField: string;
  /** A route's `context_extensions` `sallyport.model`: then only that model will do. */
  readonly named?: string | undefined;
  /** API format of the path, where it is known. */
  readonly format?: string | undefined;
}

export type ModelMatch =
  | { readonly ok: true; readonly model: Model }
  | { readonly ok: false; readonly code: 'unknown_model' | 'path_not_admitted' };

export interface Registry {
  list(): readonly Model[];
  byName(name: string): Model | undefined;
  /**
   * The one model that a request means. `unknown_model`: no entry has the name for this host, or the route names another;
   * `path_not_admitted`: the entry does not take this path or format.
   */
  match(request: ModelRequest): ModelMatch;
}

/** A registry of models that were loaded (and found unambiguous) by parseModels. */
export function createRegistry(models: readonly Model[]): Registry {
  const byName = new Map(models.map((model) => [model.name, model]));
  const byField = new Map<string, Model[]>();
  for (const model of models)
    for (const name of model.match.names) byField.set(name, [...(byField.get(name) ?? []), model]);

  return {
    list: () => models,
    byName: (name) => byName.get(name),
    match({ host, path, modelField, named, format }) {
      const meant = (byField.get(modelField) ?? []).filter(
        ({ name, match }) =>
          (named === undefined || name === named) && (match.hosts.length === 0 || match.hosts.includes(host)),
      );
      if (meant.length === 0) return { ok: false, code: 'unknown_model' };
      const admitted = meant.filter(
        ({ match, formats }) =>
          (match.paths.length === 0 || match.paths.some((prefix) => isBelow(path, prefix))) &&
          (format === undefined || formats.includes(format)),
      );
      const [model] = admitted;
      return model !== undefined && admitted.length === 1
        ? { ok: true, model }
        : { ok: false, code: 'path_not_admitted' };
    },
  };
}
