export { createLambdaHandler, type LambdaContext } from '../adapters/lambda.ts';
