// Package crontab is the judge's own evaluator of schedule expressions: plain,
// slow, and written from the contract's words, without the product's code or
// its library. The two are compared on random expressions.
package crontab
