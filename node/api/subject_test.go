package api_test

import (
	"testing"

	"github.com/belfryhq/belfry/node/api"
)

func TestASubjectNamesItsUserWhereverItIsHeard(t *testing.T) {
	for subject, want := range map[string]string{
		api.DefaultPrefix.Subject("ada", "item", "get"):            "ada",
		api.DefaultPrefix.LocalSubject("n1", "ada", "item", "get"): "ada",
		"belfry.api.ada": "",
		"":               "",
	} {
		if user := api.UserOf(subject); user != want {
			t.Errorf("%q is asked by %q, want %q", subject, user, want)
		}
	}
}
