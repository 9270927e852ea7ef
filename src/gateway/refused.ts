/** The gateway does not start: something in its files is wrong. The message is for the operator. */
export class GatewayRefused extends Error {
  override readonly name = 'GatewayRefused';
  readonly code = 'gateway_refused';
  readonly remedy = 'Correct it and start again.';
}
