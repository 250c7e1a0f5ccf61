// Package reference keeps the reference of the README true: its tables are made
// from the code, and the test fails when they differ.
package reference
