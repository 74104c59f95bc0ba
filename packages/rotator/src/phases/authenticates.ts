import { isRefused, type SecretValue, type Source } from '@keyturn/source';

/** Does the source take this value? Throws for "don't know". */
export async function authenticates(source: Source, value: SecretValue): Promise<boolean> {
  try {
    await source.prove(value);
    return true;
  } catch (error) {
    if (isRefused(error)) return false;
    throw error;
  }
}
