export { createS3Storage, type S3StorageOptions } from '../storage/s3.ts';
