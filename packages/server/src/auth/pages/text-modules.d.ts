declare module "*.text.js" {
  const text: string;
  export default text;
}
declare module "*.text.css" {
  const text: string;
  export default text;
}
