// The recursive descent behind Parse(): shared by PromQL and, with another kind of primary
// expression, by LogQL's metric queries.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/query/promql_ast.h"
#include "aggregator/query/promql_lexer.h"
#include "common/result.h"

namespace faultline::promql {

class Grammar {
 public:
  explicit Grammar(std::string_view query) : query_(query), lexer_(query) {}
  virtual ~Grammar() = default;
  // The whole text is one expression.
  Result<ExprPtr> ParseAll();
  // The whole text is one vector selector.
  Result<std::unique_ptr<VectorSelector>> ParseSelectorOnly();

 protected:
  // Called where a primary expression begins, with its first token in `token_`. nullptr: not one of
  // the derived language's own, parse it as PromQL.
  virtual Result<ExprPtr> OwnPrimary() { return ExprPtr(); }

  std::unexpected<Error> FailAt(size_t position, std::string_view message) const;
  std::unexpected<Error> Unexpected(std::string_view context = {},
                                    std::string_view expected = {}) const;
  void Advance();
  bool Is(TokenKind kind) const { return token_.kind == kind; }
  bool Take(TokenKind kind);
  Result<ExprPtr> Expression(int min_precedence = 0);

  std::string_view query_;
  Lexer lexer_;
  Token token_;          // the next one
  size_t last_end_ = 0;  // of the one before

 private:
  Result<ExprPtr> UnaryOrPostfix();
  Result<ExprPtr> UnaryOperand();
  Result<ExprPtr> Primary();
  Result<ExprPtr> Postfix(ExprPtr expr);
  Result<ExprPtr> Number();
  Result<ExprPtr> ParenOrFail();
  Result<ExprPtr> AggregateOrSelector();
  Result<ExprPtr> AggregateBody(Token op);
  Result<ExprPtr> FunctionCall(Token name);
  Result<std::vector<ExprPtr>> CallBody();
  Result<std::unique_ptr<VectorSelector>> Selector(std::optional<Token> name);
  Result<void> Matchers(VectorSelector& selector);
  Result<void> Matcher(VectorSelector& selector);
  Result<std::vector<std::string>> GroupingLabels();
  Result<ExprPtr> BinaryTail(ExprPtr left, TokenKind op, SourceRange op_where);
  Result<VectorMatching> Matching();
  Result<void> OffsetModifier(Expr& expr);
  Result<void> AtModifier(Expr& expr);
  Result<ExprPtr> Brackets(ExprPtr expr);
  Result<int64_t> Duration(const Token& token) const;
  Result<double> NumberValue(const Token& token) const;

  int aggregations_open_ = 0;
  uint32_t nesting_ = 0;
};

}  // namespace faultline::promql
