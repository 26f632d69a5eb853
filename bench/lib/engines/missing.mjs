/** An engine that is not installed here, or that this platform can't run. */
export class Missing extends Error {}

/** `found`, or the error that says what to install. */
export function installed(found, what) {
  if (found === undefined) throw new Missing(`${what} is not installed: ./dev bench peers`);
  return found;
}
