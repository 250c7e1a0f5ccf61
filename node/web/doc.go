// Package web is HTTP: health, metrics, later the page.
//
// It decides nothing and stores nothing; it shows what it is told to. Loopback
// addresses only, because Belfry has no security yet.
//
//	/healthz   200 while the process lives
//	/readyz    200 while it takes and stores commands, else 503 and why
//	/metrics   Prometheus
//
// # Concurrency
//
// Start and Stop are for one caller; requests have goroutines of their own.
package web
