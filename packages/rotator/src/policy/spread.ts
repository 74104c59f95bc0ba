/** Half of what Key Vault lets a vault be read: 4,000 times in 10 s. The other half is for whoever else reads it. */
const readsPerSecond = 200;

/** Over how long so many instances must spread their reads of a new version, milliseconds; 0 for few. */
export function spreadMs(instances: number): number {
  return instances <= readsPerSecond ? 0 : Math.ceil((instances / readsPerSecond) * 1_000);
}
