/** What went wrong, for code to branch on. */
export type EmulatorErrorCode =
  /** The options of `startEmulator` don't have the documented shape. */
  | 'OPTIONS_INVALID'
  /** A fault given to `faults.inject` doesn't have the documented shape. */
  | 'FAULT_INVALID'
  /** The data folder can't be read or written, or holds something else. */
  | 'DATA_FOLDER_UNUSABLE'
  /** Storage accounts are configured, and the package `azurite` is not there, or is one that isn't known. */
  | 'AZURITE_MISSING'
  /** A port couldn't be opened on the loopback interface. */
  | 'LISTEN_FAILED'
  /** The vault said no to a request (or to an initial secret); `refusal` is what a client sees. */
  | 'REQUEST_REFUSED';

/** A vault's answer to a request that it doesn't grant. */
export interface Refusal {
  readonly status: number;
  /** `error.code` of the body, for example `Forbidden`. */
  readonly code: string;
  /** `error.innererror.code`, for example `SecretDisabled`. */
  readonly innerCode?: string;
  readonly retryAfterSeconds?: number;
}

/** The only error this package throws. A message never contains a secret's value. */
export class EmulatorError extends Error {
  override readonly name = 'EmulatorError';
  readonly code: EmulatorErrorCode;
  /** Present when `code` is `REQUEST_REFUSED`. */
  readonly refusal: Refusal | undefined;

  constructor(
    code: EmulatorErrorCode,
    message: string,
    details: { readonly cause?: unknown; readonly refusal?: Refusal } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.refusal = details.refusal;
  }
}
