/**
 * What tells one state of the classifier from another in a result's key: SHA-256 over the table and the measurements, as
 * classify.test.ts computes it. A constant, so that whoever only names results need not load the table.
 */
export const CLASSIFIER_DIGEST = '619c1bb3808cd1f8def47df88bcbb224f47c508d76bd0f755f961e8c464abf0e';
