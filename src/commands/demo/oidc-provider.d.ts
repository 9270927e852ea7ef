/** The little of `oidc-provider` 9 that the demo uses; the package ships no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export interface GrantContext {
    readonly oidc: {
      readonly params: Readonly<Record<string, string | undefined>>;
      readonly client: object;
      entity(name: string, value: object): void;
    };
    body: unknown;
  }

  interface SavedToken {
    resourceServer: object;
    readonly expiration: number;
    readonly tokenType: string;
    save(): Promise<string>;
  }

  export default class Provider {
    constructor(issuer: string, configuration: object);
    readonly AccessToken: new (fields: {
      accountId: string;
      client: object;
      gty: string;
      scope?: string;
    }) => SavedToken;
    readonly ResourceServer: new (
      identifier: string,
      info: object,
    ) => object;
    registerGrantType(
      name: string,
      handler: (context: GrantContext) => Promise<void>,
      parameters: readonly string[],
    ): void;
    on(event: 'server_error', listener: (context: unknown, error: Error) => void): this;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
  }

  export const errors: {
    readonly InvalidGrant: new (description: string) => Error;
  };
}
