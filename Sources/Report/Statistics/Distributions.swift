import Foundation

/// The normal and Student's distribution, as far as the statistics here need them.
enum Distributions {
    /// The probability that a standard normal value lies below `x`.
    static func normal(below x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }

    /// Below which value a standard normal one lies with `probability`.
    static func normalQuantile(_ probability: Double) -> Double { inverse(of: normal(below:), at: probability) }

    /// The probability that a value of Student's distribution lies below `t`. For whole degrees of freedom there is a finite series (Abramowitz and
    /// Stegun 26.7.3 and 26.7.4).
    static func student(below t: Double, degrees: Int) -> Double {
        let angle = atan(t / Double(degrees).squareRoot())
        let (sine, square) = (sin(angle), cos(angle) * cos(angle))
        var term = 1.0
        var sum = degrees == 1 ? 0.0 : 1.0
        var index = degrees % 2 == 0 ? 1 : 2
        while index < degrees - 2 {
            term *= square * Double(index) / Double(index + 1)
            sum += term
            index += 2
        }
        let within = degrees % 2 == 0 ? sine * sum : (angle + sine * cos(angle) * sum) * 2 / .pi
        return 0.5 + within / 2
    }

    /// Below which value one of Student's distribution lies with `probability`.
    static func studentQuantile(_ probability: Double, degrees: Int) -> Double {
        // From here on the two distributions agree to four digits.
        if degrees > 2000 { return normalQuantile(probability) }
        return inverse(of: { student(below: $0, degrees: degrees) }, at: probability)
    }

    /// By halving: it is asked for a few times a comparison, and has no range in which it is inaccurate.
    private static func inverse(of distribution: (Double) -> Double, at probability: Double) -> Double {
        var (low, high) = (-1e6, 1e6)
        for _ in 0..<100 {
            let middle = (low + high) / 2
            if distribution(middle) < probability { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }
}
