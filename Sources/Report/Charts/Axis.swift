import Foundation
import Gauge

/// Where values lie between the two ends of a picture, with the marks that say so.
struct Axis: Sendable, Equatable {
    struct Tick: Sendable, Equatable {
        let value: Double
        let label: String
    }

    let title: String
    let low: Double
    let high: Double
    let isLogarithmic: Bool
    let ticks: [Tick]

    /// 0 at the low end, 1 at the high end; what lies beyond an end is drawn there.
    func fraction(_ value: Double) -> Double {
        let part = isLogarithmic ? log(max(value, low) / low) / log(high / low) : (value - low) / (high - low)
        return part.isFinite ? min(max(part, 0), 1) : value > low ? 1 : 0
    }

    /// From 0 to a round number that nothing exceeds.
    ///
    /// - Parameters:
    ///   - title: without a unit, which is added.
    ///   - unit: what is counted, where the quantity has no unit.
    static func linear(_ title: String, _ quantity: Quantity, to largest: Double, ticksMax: Int = 5, unit: String = "") -> Axis {
        let largest = largest.isFinite && largest > 0 ? largest : 1
        let scale = quantity.unit(for: largest)
        let step = roundStep(largest / scale.size / Double(ticksMax))
        let count = Int((largest / scale.size / step - 1e-9).rounded(.up))
        let ticks = (0...max(1, count)).map { Tick(value: Double($0) * step * scale.size, label: decimal(Double($0) * step)) }
        return Axis(title: named(title, scale.name.isEmpty ? unit : scale.name), low: 0, high: ticks.last?.value ?? 1, isLogarithmic: false, ticks: ticks)
    }

    /// From a round number below the smallest value to one above the largest. Each mark has its unit, since they may span many.
    ///
    /// - Parameters:
    ///   - values: those above 0 count.
    ///   - including: something that has to lie on the axis too.
    static func logarithmic(_ title: String, _ quantity: Quantity, _ values: [Double], including: [Double] = [], ticksMax: Int = 9, unit: String = "") -> Axis {
        let usable = (values + including).filter { $0.isFinite && $0 > 0 }
        let least = max(usable.min() ?? 1, 1e-290)
        let most = min(max(usable.max() ?? 10, least), 1e290)
        let decades = Int((log10(most / least)).rounded(.up))
        let steps: [Double] = decades <= 1 ? [1, 1.5, 2, 3, 5, 7] : decades <= 3 ? [1, 2, 5] : [1]
        var marks: [Double] = []
        for exponent in (Int(log10(least).rounded(.down)) - 1)...(Int(log10(most).rounded(.up)) + 1) {
            marks += steps.map { $0 * pow(10, Double(exponent)) }
        }
        let first = marks.lastIndex { $0 <= least * 1.000_001 } ?? 0
        let last = max(marks.firstIndex { $0 >= most * 0.999_999 } ?? marks.count - 1, first + 1)
        let shown = thinned(Array(marks[first...last]), to: ticksMax)
        return Axis(
            title: named(title, unit.isEmpty ? "log scale" : "\(unit), log scale"), low: marks[first], high: marks[last], isLogarithmic: true,
            ticks: shown.map { Tick(value: $0, label: quantity.short($0)) })
    }

    /// The scale on which HdrHistogram's plots show percentiles: 1 / (1 - p), so that each further nine takes the same room.
    ///
    /// - Parameter count: of values behind the distribution with most of them; no percentile beyond it means anything.
    static func percentiles(count: UInt64) -> Axis {
        let most = Double(max(count, 10))
        let nines = min(Int(log10(most)), 7)
        let labels = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %", "99.99999 %"]
        // The room for a mark shrinks with their number, and the last ones are the longest.
        let ticks = (0...nines).filter { nines <= 4 || $0 % 2 == nines % 2 || $0 < 2 }.map { Tick(value: pow(10, Double($0)), label: labels[$0]) }
        return Axis(title: "percentile, log scale of 1/(1 - p)", low: 1, high: most, isLogarithmic: true, ticks: ticks)
    }

    private static func named(_ title: String, _ unit: String) -> String { unit.isEmpty ? title : "\(title), \(unit)" }

    /// 1, 2, 2.5 or 5 times a power of ten, at least `least`.
    private static func roundStep(_ least: Double) -> Double {
        let power = pow(10, log10(least).rounded(.down))
        return ([1, 2, 2.5, 5, 10].first { $0 * power >= least * 0.999_999 } ?? 10) * power
    }

    /// Powers of ten first, then all when they fit.
    private static func thinned(_ marks: [Double], to most: Int) -> [Double] {
        guard marks.count > most else { return marks }
        let decades = marks.filter { abs(log10($0) - log10($0).rounded()) < 1e-9 }
        let kept = decades.count >= 2 ? decades : marks
        let stride = (kept.count + most - 1) / most
        return kept.indices.filter { $0 % stride == 0 }.map { kept[$0] }
    }
}
