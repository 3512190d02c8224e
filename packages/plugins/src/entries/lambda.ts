export { createLambdaHandler, type LambdaContext, type LambdaHandlerOptions } from '../adapters/lambda.ts';
