package kafka_test

import "testing"

func TestScenarios(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	scenarios(t, func(t *testing.T) *rig { return newRig(t, addrs) })
}
