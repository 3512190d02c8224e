export { createFolderStore } from '../folder.ts';
export { createNodeSend, type NodeSendOptions } from '../s3/node-send.ts';
