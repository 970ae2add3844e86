/// Who gives many verdicts is wrong more often. Holm's step-down correction (1979) keeps the probability that any of a family is wrong at what it is for
/// one, whatever the tests have to do with each other.
enum HolmCorrection {
    /// p, each as large as it counts within the family, in the same order. What has no p is no test and does not count.
    static func corrected(_ probabilities: [Double?]) -> [Double?] {
        let order = probabilities.indices.compactMap { index in probabilities[index].map { (index: index, p: $0) } }.sorted { $0.p < $1.p }
        var corrected: [Double?] = Array(repeating: nil, count: probabilities.count)
        var largest = 0.0
        for (position, entry) in order.enumerated() {
            largest = max(largest, min(1, entry.p * Double(order.count - position)))
            corrected[entry.index] = largest
        }
        return corrected
    }
}
