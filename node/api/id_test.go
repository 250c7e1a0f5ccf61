package api

import "testing"

func TestAnIDIsKnownByItsPrefix(t *testing.T) {
	for _, test := range []struct {
		entity, idOrName string
		want             Get
	}{
		{"function", "fun_01KAQ3V9M2Z8Y4T6R1W5X7HEL0", Get{ID: "fun_01KAQ3V9M2Z8Y4T6R1W5X7HEL0"}},
		{"function", "hello", Get{Name: "hello"}},
		{"function", "sci_01KAQ3V9M2Z8Y4T6R1W5X7HEL0", Get{Name: "sci_01KAQ3V9M2Z8Y4T6R1W5X7HEL0"}},
		{"item", "sci_1", Get{ID: "sci_1"}},
		{"run", "run_1", Get{ID: "run_1"}},
		{"user", "ann", Get{ID: "ann"}},
	} {
		if got := GetOf(test.entity, test.idOrName); got != test.want {
			t.Errorf("GetOf(%s, %s) is %+v, want %+v", test.entity, test.idOrName, got, test.want)
		}
	}
}
