declare module "*.text.js" {
  const text: string;
  export default text;
}
