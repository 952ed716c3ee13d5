/** What to call a passkey when its owner does not say: the device on which it is made. */
export function deviceName(userAgent: string): string {
  const known: [string, string][] = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android device"], ["CrOS", "Chromebook"], ["Mac OS X", "Mac"], ["Windows", "Windows PC"], ["Linux", "Linux PC"]];
  return known.find(([word]) => userAgent.includes(word))?.[1] ?? "My device";
}
