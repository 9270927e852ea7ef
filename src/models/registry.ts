import { isBelow } from './load.ts';
import { type Model, namelessFormats } from './model.ts';

/** Where a request goes, and in which API. */
export interface ModelPlace {
  /** Host without port, lower case. */
  readonly host: string;
  /** Path without query. */
  readonly path: string;
  /** A route's `context_extensions` `sallyport.model`: then only that model will do. */
  readonly named?: string | undefined;
  /** API format of the path, where it is known. */
  readonly format?: string | undefined;
}

/** What a request says of the model that it wants. */
export interface ModelRequest extends ModelPlace {
  /** The model as the body or the path names it; not looked at where the format names none. */
  readonly modelField: string;
}

export type ModelMatch =
  | { readonly ok: true; readonly model: Model }
  | { readonly ok: false; readonly code: 'unknown_model' | 'path_not_admitted' };

type Below = (path: string, prefix: string) => boolean;

export interface Registry {
  list(): readonly Model[];
  byName(name: string): Model | undefined;
  /** Whether any entry takes requests at this place, whatever model they name. `below`: whether a path is below a prefix; `isBelow` by default. */
  admits(place: ModelPlace, below?: Below): boolean;
  /**
   * The one model that a request means. `unknown_model`: no entry has the name for this host, the route names another, or a
   * request that names none could mean several; `path_not_admitted`: the entry does not take this path or format.
   */
  match(request: ModelRequest): ModelMatch;
}

/** A registry of models that were loaded (and found unambiguous) by parseModels. */
export function createRegistry(models: readonly Model[]): Registry {
  const byName = new Map(models.map((model) => [model.name, model]));
  const byField = new Map<string, Model[]>();
  for (const model of models)
    for (const name of model.match.names) byField.set(name, [...(byField.get(name) ?? []), model]);
  const byFormat = Map.groupBy(
    models.flatMap((model) => model.formats.map((format) => ({ format, model }))),
    ({ format }) => format,
  );
  const nameless = (place: ModelPlace): Model[] =>
    (byFormat.get(place.format ?? '') ?? [])
      .filter(({ model }) => isHere(model, place) && takes(model, place))
      .map(({ model }) => model);

  return {
    list: () => models,
    byName: (name) => byName.get(name),
    admits: (place, below) =>
      place.format === undefined
        ? models.some((model) => isHere(model, place) && takes(model, place, below))
        : (byFormat.get(place.format) ?? []).some(({ model }) => isHere(model, place) && takes(model, place, below)),
    match(request) {
      if (request.format !== undefined && namelessFormats.has(request.format))
        return only(nameless(request), 'unknown_model');
      const meant = (byField.get(request.modelField) ?? []).filter((model) => isHere(model, request));
      if (meant.length === 0) return { ok: false, code: 'unknown_model' };
      return only(
        meant.filter((model) => takes(model, request)),
        'path_not_admitted',
      );
    },
  };
}

function only(found: readonly Model[], code: 'unknown_model' | 'path_not_admitted'): ModelMatch {
  const [model] = found;
  return model !== undefined && found.length === 1 ? { ok: true, model } : { ok: false, code };
}

function isHere({ name, match }: Model, { host, named }: ModelPlace): boolean {
  return (named === undefined || name === named) && (match.hosts.length === 0 || match.hosts.includes(host));
}

function takes({ match, formats }: Model, { path, format }: ModelPlace, below: Below = isBelow): boolean {
  return (
    (match.paths.length === 0 || match.paths.some((prefix) => below(path, prefix))) &&
    (format === undefined || formats.includes(format))
  );
}
