export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** Where a bucket is, and how requests to it are signed. */
export interface S3Place {
  /** URL of the bucket, with its slash: `https://photos.s3.eu-central-1.amazonaws.com/` or `http://127.0.0.1:9000/photos/`. */
  readonly root: string;
  readonly region: string;
  /** The service that the signature names: `s3`, or `s3-outposts` and the like. */
  readonly service: string;
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
  /** Milliseconds that the signing clock is ahead of this machine's. */
  readonly clockOffset?: number | undefined;
}

/** A bucket at an endpoint, addressed by path, as own servers have it. */
export interface S3Endpoint {
  /** For example `https://s3.eu-central-1.amazonaws.com` or an own MinIO. */
  readonly endpoint: string;
  /** Default `us-east-1`. */
  readonly region?: string | undefined;
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
}

export const placeAt = ({ endpoint, region = 'us-east-1', credentials }: S3Endpoint, bucket: string): S3Place => ({
  root: `${endpoint.replace(/\/$/, '')}/${bucket}/`,
  region,
  service: 's3',
  credentials,
});
