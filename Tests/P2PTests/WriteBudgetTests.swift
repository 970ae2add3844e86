@testable import P2P
import Testing

@Suite struct WriteBudgetTests {
    private var limits: ConnectionLimits {
        var limits = ConnectionLimits()
        limits.writeBytesMin = 1000
        limits.writeBytesMax = 8000
        return limits
    }

    @Test func beginsWithTheMost() {
        #expect(WriteBudget(limits: limits).bytes == 8000)
    }

    @Test func followsWhatIsTaken() {
        var budget = WriteBudget(limits: limits)
        budget.adapt(offered: 8000, taken: 3000)
        #expect(budget.bytes == 3000)
        budget.adapt(offered: 3000, taken: 10)
        #expect(budget.bytes == 1000, "never below the least")
    }

    @Test func nothingTakenSaysNothing() {
        var budget = WriteBudget(limits: limits)
        budget.adapt(offered: 8000, taken: 4000)
        budget.adapt(offered: 4000, taken: 0)
        #expect(budget.bytes == 4000)
    }

    @Test func growsOnlyWhileItIsUsedUp() {
        var budget = WriteBudget(limits: limits)
        budget.adapt(offered: 8000, taken: 2000)
        budget.adapt(offered: 500, taken: 500)
        #expect(budget.bytes == 2000, "a small write says nothing about large ones")
        budget.adapt(offered: 2000, taken: 2000)
        #expect(budget.bytes == 2500)
        for _ in 0..<20 { budget.adapt(offered: budget.bytes, taken: budget.bytes) }
        #expect(budget.bytes == 8000, "never above the most")
    }

    /// A single frame may be larger than the budget.
    @Test func takenMayExceedTheMost() {
        var budget = WriteBudget(limits: limits)
        budget.adapt(offered: 20_000, taken: 15_000)
        #expect(budget.bytes == 8000)
    }
}
