/** An image from the server's SVG. As an image it runs no script and takes no style of the page. */
export function qrAddress(svg: string): string {
  return `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
}
