"""Classifiers: a class, or several labels, for each sequence, or for each step."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions

from cbptt.data.reading import spell
from cbptt.estimators._base import BaseRNN, partial_fit_available
from cbptt.estimators._class_targets import ClassTargets, read_classes
from cbptt.estimators._generation import check_generates, generate
from cbptt.estimators._parameters import parameter, with_parameters
from cbptt.estimators._targets import TargetForm, steps_like
from cbptt.losses import POOLINGS


class _Classifier(ClassifierMixin, BaseRNN):  # type: ignore[misc]
    """A softmax over classes, or, for several labels at once, a logistic output for each."""

    class_weight: Any
    classes_: NDArray[Any]

    @property
    @abstractmethod
    def _targets(self) -> ClassTargets:
        """The kind of targets, with the parameters that concern them."""

    @property
    def _form(self) -> TargetForm:
        form: TargetForm = self._target_form
        return form if form.classes is self.classes_ else replace(form, classes=self.classes_)

    @partial_fit_available  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, *, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train one epoch more, on these sequences; begin with the first call.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`; the weights by name, as scikit-learn's estimators differ
            in the order of what follows y
        classes : (n_classes,) array-like, default=None
            All classes that will come; needed in the first call, but for several labels at once.

        Returns
        -------
        self : fitted estimator

        Raises
        ------
        ValueError, TypeError
            As `fit`; without classes in the first call, or with others in a later one.
        """
        if classes is not None:
            given, classes = classes, read_classes(classes, caller=self._name)
            if hasattr(self, "classes_") and not np.array_equal(self.classes_, classes):
                raise ValueError(
                    f"{self._name} got classes={spell(given)}, which is not the same as on the "
                    f"last call to partial_fit, was: {spell(self.classes_)}."
                )
        if self.class_weight == "balanced":
            raise ValueError(
                f"{self._name}.partial_fit does not support class_weight='balanced', as it does "
                f"not see all targets; pass a dict, or sample_weight."
            )
        targets = replace(self._targets, all_classes=classes, incremental=True)
        return self._partial_fit(X, y, sample_weight, targets, stacklevel=2)

    def _check_learned(self) -> None:
        super()._check_learned()
        if np.shape(self.classes_) != (self.n_outputs_,):
            raise ValueError(
                f"{self._name} has classes_ of shape {np.shape(self.classes_)}, which "
                f"does not fit its network_ of {self.n_outputs_} outputs; expected both as fit "
                f"left them. Fit again."
            )

    # ---- predict ------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """Return the most probable class.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        y : (n,) ndarray of classes; or one for each step, (n, T) for an array X, and for ragged X a
            1-D object array of (T_i,) ndarrays
            For several labels at once rows of 0 and 1, (n, K) and so on.

        Raises
        ------
        ValueError
            Where a probability is NaN: no class is the most probable one.
        """
        model = self._snapshot()
        outputs, sequences = model._outputs(X, finite=True)
        return model._shape(model._predictions(outputs), sequences)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        p : (n, n_classes) ndarray; or a row for each step, (n, T, n_classes) for an array X, and
            for ragged X a 1-D object array of (T_i, n_classes) ndarrays
            Columns in the order of `classes_`. For several labels at once the probability of each,
            which need not add up to 1.

        Warns
        -----
        RuntimeWarning
            Where a probability is NaN, as the network's states or parameters are not finite.
        """
        model = self._snapshot()
        outputs, sequences = model._outputs(X, finite=False)
        return model._shape(outputs, sequences)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of what `predict_proba` returns, in the same form."""
        model = self._snapshot()
        outputs, sequences = model._outputs(X, finite=False)
        with np.errstate(divide="ignore"):
            return model._shape(np.log(outputs), sequences)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the fraction of targets predicted correctly.

        With several labels at once, all labels of a target must be correct. Unlabelled steps do not
        count.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes
        y : targets, as in `fit`
        sample_weight : (n,) per sequence, or one per target, default 1
            Where it is 0 the target is not read.

        Raises
        ------
        ValueError
            Where a probability is NaN, as in `predict`.
        """
        model = self._snapshot()
        outputs, sequences = model._outputs(X, finite=True)
        return model._targets.score(outputs, y, sequences, sample_weight, model._form)


@with_parameters()
class RNNClassifier(_Classifier):
    """Recurrent network classifier for sequences.

    A softmax layer is applied to the hidden state after the last step of a sequence, or to its
    pooled hidden states (`pooling`). The categorical log loss is minimised by exact backpropagation
    through time (the lecture, "BPTT"). If y has rows of 0 and 1, several labels at once, each label
    has a logistic output and the binary log loss, summed over labels.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    classes_ : (n_classes,) ndarray
        The classes, sorted; for several labels at once their numbers, of dtype object.
    <attributes>

    See Also
    --------
    RNNSequenceClassifier : A class for each step.

    Examples
    --------
    >>> import numpy as np
    >>> from cbptt import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 2)) + side for side in (-1, 1) for length in range(3, 13)]
    >>> y = ["low"] * 10 + ["high"] * 10
    >>> model = RNNClassifier(8, max_iter=100, learning_rate_init=0.03, tol=0.01, random_state=0)
    >>> model.fit(X, y).predict(X[8:12])
    array(['low', 'low', 'high', 'high'], dtype='<U4')

    Two labels at once, each of which may hold: is the mean of a variable above zero?

    >>> both = [x.mean(axis=0) > 0 for x in X]
    >>> model.fit(X, both).predict(X[8:12]).shape
    (4, 2)
    """

    class_weight: dict[Any, float] | str | None = parameter(
        default=None,
        allowed=[dict, StrOptions({"balanced"}), None],
        kind='dict, "balanced" or None',
        doc="""
        Weight of each class, 1 for classes missing in a dict; "balanced" weights the classes so
        that all count equally: (sum of weights) / (n_classes * sum of the class's weights).
        """,
    )
    pooling: str = parameter(
        default="last",
        allowed=[StrOptions(set(POOLINGS))],
        kind='{"last", "mean", "max"}',
        doc="""
        The input of the output layer: the hidden state after the last step of a sequence, the mean
        of its hidden states, or the largest value of each unit.
        """,
    )

    @property
    def _targets(self) -> ClassTargets:
        return ClassTargets(self._name, self.pooling, class_weight=self.class_weight)

    def predict_proba(self, X: Any, *, at: str = "end") -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes
        at : {"end", "every"}, default="end"
            After the last step of a sequence; or after each step, from the steps up to it.

        Returns
        -------
        p : (n, n_classes) ndarray; with "every" (n, T, n_classes) for an array X, and for ragged X
            a 1-D object array of (T_i, n_classes) ndarrays
            Columns in the order of `classes_`. For several labels at once the probability of each,
            which need not add up to 1.

        Raises
        ------
        ValueError
            With "every" where pooling is not "last".
        """
        model = self._snapshot()
        if at == "end":
            outputs, sequences = model._outputs(X, finite=False)
            return model._shape(outputs, sequences)
        if at != "every":
            raise ValueError(
                f"{self._name}.predict_proba got at={at!r}; expected 'end' or 'every'."
            )
        network = model._network_of_steps().with_readout("every")
        outputs, sequences = model._outputs(X, finite=False, network=network)
        return steps_like(sequences, outputs)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@with_parameters()
class RNNSequenceClassifier(_Classifier, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Recurrent network classifier for the steps of sequences.

    A softmax layer is applied to the hidden state of every step, as in the lecture. The categorical
    log loss, summed over steps, is minimised by exact backpropagation through time. If y has rows
    of 0 and 1 at each step, several labels at once, each label has a logistic output.

    If y has one class for each sequence, it is used as the target of every step; the steps share
    the weight of the sequence, and the prediction is that after the last step (target replication,
    Lipton, Kale, Elkan & Wetzel 2016).

    If y is the next symbol of each step, `sample` generates sequences of symbols.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    classes_ : (n_classes,) ndarray
        The classes, sorted; for several labels at once their numbers, of dtype object.
    <attributes>

    See Also
    --------
    RNNClassifier : One class for each sequence.

    Examples
    --------
    Was the input of the step before above zero?

    >>> import numpy as np
    >>> from cbptt import RNNSequenceClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=length) for length in range(5, 35)]
    >>> y = [np.append(False, x[:-1] > 0) for x in X]
    >>> model = RNNSequenceClassifier(8, learning_rate_init=0.05, tol=0.01, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.9
    True

    The first step has no step before it, and can be left unlabelled:

    >>> y = [np.append(-1, x[:-1] > 0) for x in X]
    >>> model.set_params(missing_label=-1).fit(X, y).classes_
    array([0, 1])
    """

    class_weight: dict[Any, float] | str | None = parameter(
        default=None,
        allowed=[dict, StrOptions({"balanced"}), None],
        kind='dict, "balanced" or None',
        doc="""
        Weight of each class, 1 for classes missing in a dict; "balanced" weights the classes so
        that all count equally: (sum of weights) / (n_classes * sum of the class's weights), over
        labelled steps.
        """,
    )
    missing_label: float | str | None = parameter(
        default=None,
        allowed=[int, float, str, np.integer, np.floating, None],
        kind="int, float, str or None",
        doc="""
        A step with this label is unlabelled: it has no loss and does not count in `score`. It has
        the same kind as the labels, for example -1 for integers or "" for text; for floats it may
        be NaN.
        """,
    )

    @property
    def _targets(self) -> ClassTargets:
        return ClassTargets(
            self._name,
            "every",
            class_weight=self.class_weight,
            missing_label=self.missing_label,
        )

    def sample(
        self,
        n_steps: int,
        start: Any,
        *,
        temperature: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
        encoding: Any = None,
    ) -> NDArray[Any]:
        """Draw symbols, each from the probabilities predicted after the one before.

        For a model that was trained to predict the next symbol: the input of a step is a symbol,
        and y is the symbol that follows (Sutskever, Martens & Hinton 2011, Generating text with
        recurrent neural networks; Graves 2013, Generating sequences with recurrent neural
        networks).

        Parameters
        ----------
        n_steps : int
            Number of symbols to draw, at least 1.
        start : (P,) list or array of labels, or n of them, of any lengths
            The symbols before, as labels of y; at least one. The network reads them, starting from
            its initial state, and the first symbol drawn follows the last of them.
        temperature : float, default=1.0
            Divides the logits a2 before the softmax: below 1 probable symbols become more probable,
            above 1 less probable. 0 chooses the most probable symbol, the first one of equals,
            without randomness.
        random_state : int, RandomState or None, default=None
            Source of the draws; an int gives the same symbols every time.
        encoding : (n_classes, D) array, or (n_classes,) where D is 1, default=None
            The input that represents each class; rows in the order of `classes_`. None is one-hot:
            input k is 1 for class k, and 0 for the others.

        Returns
        -------
        symbols : (n_steps,) ndarray of labels; (n, n_steps) for n sequences
            Without those of `start`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            Where an argument does not fit, as a label that is none of `classes_`; where the network
            has not as many inputs as classes and there is no encoding; where the model was fitted
            on several labels at once, on one label for each sequence, or with missing="mask": then
            the prediction of a step is not its next input.
        FloatingPointError
            If the states overflow, as those of relu may.

        Examples
        --------
        >>> import numpy as np
        >>> from cbptt import RNNSequenceClassifier
        >>> text = np.array(list("abac" * 20))
        >>> X = text[:, None] == np.unique(text)  # (80, 3), one-hot
        >>> model = RNNSequenceClassifier(8, learning_rate_init=0.05, tol=0.01, random_state=0)
        >>> model = model.fit([X[:-1]], [text[1:]])
        >>> "".join(model.sample(8, ["a", "b"], temperature=0))
        'acabacab'
        """
        model = self._snapshot()
        caller = f"{self._name}.sample"
        model.network_.engine.architecture.check_causal("generate", self._name)
        check_generates(model._form, masked=model._fill is not None, caller=caller)
        return generate(
            model.network_,
            model.classes_,
            n_steps,
            start,
            temperature=temperature,
            random_state=random_state,
            encoding=encoding,
            n_threads=model._n_threads(),
            caller=caller,
        )
